"""Ways into the site that a person tries."""

from django.test import Client


def test_who_leaves_out_the_last_slash_comes_to_the_pages(client: Client) -> None:
    answer = client.get("/backups")
    assert (answer.status_code, answer["Location"]) == (302, "/backups/")
