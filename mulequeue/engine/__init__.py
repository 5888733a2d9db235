"""The loop that submits generations, polls them and returns their outcomes."""
