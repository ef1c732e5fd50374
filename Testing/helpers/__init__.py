"""What several test files need, or a script that the Makefile runs as well."""
