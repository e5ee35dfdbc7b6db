"""The subcommands of `tocsin`, a module each; `cli.py` joins them."""
