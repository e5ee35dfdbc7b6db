"""Draw messages as services show them.

A drawing is made from the body that is really sent, never from the alert, so that it cannot show
more than the receiver gets.
"""
