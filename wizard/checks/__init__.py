"""Questions about a host, each answered from facts; stages are made of them."""
