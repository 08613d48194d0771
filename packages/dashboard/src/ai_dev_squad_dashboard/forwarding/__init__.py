"""What was received, sent on to a second back end: never in the way of those who send, never in a circle."""
