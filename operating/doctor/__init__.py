"""`tocsin doctor`: what an operator can check, without changing anything."""
