"""A fork answers, or ends without an answer; it holds nothing that its parent waits for."""

import os
import subprocess
import sys
import textwrap

import pytest

from tests.backups.scripts import run_script

SCRIPT = """
    import os
    from backups.processes.forks import Fork
    held, hold = os.pipe()
    def work():
        print("this goes nowhere")
        {work}
        return b"x" * {length}
    fork = Fork(work, close=(hold,))
    answer = fork.answer()
    os.close(hold)
    assert os.read(held, 1) == b"", "the fork holds it no longer"
    fork.end()
    print(len(answer), set(answer))
"""


def answered(work: str, length: int) -> str:
    ended = run_script(SCRIPT.format(work=work, length=length))
    assert ended.stderr == ""
    return ended.stdout.strip()


@pytest.mark.parametrize("length", [0, 1, 200_000], ids=["none", "a byte", "more than a pipe has"])
def test_answer_is_read_whole(length: int) -> None:
    assert answered("", length) == f"{length} {set(b'x') if length else set()}"


@pytest.mark.parametrize(
    "work", ["1 / 0", "raise SystemExit('no')", "os.abort()", "os.kill(os.getpid(), 9)"]
)
def test_failure_is_no_answer(work: str) -> None:
    assert answered(work, 1) == "0 set()"


@pytest.mark.parametrize(("refused", "call"), [("fork", 1), ("pipe", 1), ("pipe", 2)])
def test_system_that_refuses_a_process_or_a_pipe_is_an_error_that_leaves_nothing_open(
    refused: str, call: int
) -> None:
    ended = run_script(f"""
        import os
        from backups.processes.forks import Fork
        answers = [os.{refused}] * {call - 1}
        def refuse():
            if answers:
                return answers.pop()()
            raise OSError("too many")
        os.{refused} = refuse
        before = os.dup(0)
        os.close(before)
        try:
            Fork(lambda: b"")
        except OSError as error:
            print(error, os.dup(0) == before)
    """)
    assert (ended.stdout, ended.stderr) == ("too many True\n", "")


def test_forks_end_one_by_one_though_each_was_made_while_others_lived() -> None:
    ended = run_script("""
        import time
        from backups.processes.forks import Fork
        for fork in [Fork(lambda: time.sleep(60) or b"") for _ in range(3)]:
            fork.end()
        print("ended")
    """)
    assert (ended.stdout, ended.stderr) == ("ended\n", "")


def test_stopped_fork_ends() -> None:
    ended = run_script("""
        import os, signal
        from backups.processes.forks import Fork
        fork = Fork(lambda: os.kill(os.getpid(), signal.SIGSTOP) or b"")
        os.waitpid(fork._pid, os.WUNTRACED)
        fork.end()
        print("ended")
    """)
    assert (ended.stdout, ended.stderr) == ("ended\n", "")


BUSY = """
    import os, sqlite3, sys
    from backups.processes import landlock
    from backups.processes.forks import Fork
    tell = int(sys.argv[1])
    def work():
        os.write(tell, b"x")
        sqlite3.connect(":memory:").execute(
            "SELECT instr(hex(zeroblob(10000000)), hex(zeroblob(5000000)) || 'x')"
        )
    fork = Fork(work)
    os.close(tell)
    landlock.give_up_others()  # from now on this process can't send a signal to the fork
    sys.stdin.read(1)
    {end}
    sys.stdin.read()
"""


@pytest.mark.parametrize("end", ["fork.end()", "os.kill(os.getpid(), 9)", "os._exit(0)"])
def test_fork_ends_in_the_middle_of_its_work_when_its_parent_says_so_or_ends(end: str) -> None:
    told, tell = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(BUSY.format(end=end)), str(tell)],
        stdin=subprocess.PIPE,
        pass_fds=(tell,),
    ) as parent:
        os.close(tell)
        assert parent.stdin is not None
        with open(told, "rb", buffering=0) as words:
            assert words.read(1) == b"x", "it is at work"
            parent.stdin.write(b"x")
            parent.stdin.flush()
            assert words.read(1) == b"", "it has ended"
