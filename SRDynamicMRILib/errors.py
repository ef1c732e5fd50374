"""The error that a user is meant to read."""


class InputError(ValueError):
    """Something the user gave (a file, a volume, a number) cannot be used.

    The message is one plain sentence that says what is wrong and what to do. The command line prints it
    and exits with code 2; nothing else in the library turns it into anything.
    """
