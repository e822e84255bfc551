"""Compare the cost of a release with this publisher and with two others: `make bench`."""
