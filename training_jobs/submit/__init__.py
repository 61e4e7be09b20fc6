"""The owner's command that makes a bot on a cluster learn. It runs on the owner's machine."""
