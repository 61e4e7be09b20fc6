"""The command of a server's owner: an export in, a served version out. No job of an image's."""
