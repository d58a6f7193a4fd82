"""Whether an untrusted file is a whole database of this site."""
