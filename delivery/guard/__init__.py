"""The outgoing connection: addresses, sockets, TLS and HTTP under one deadline."""
