"""MuleRouter's API: requests, responses, results and webhook signatures."""
