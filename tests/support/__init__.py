"""Real servers and real workers for the tests; nothing here outlives the test that started it."""
