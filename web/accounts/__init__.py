"""Users, passwords and API tokens, without Flask: the command line uses them too."""
