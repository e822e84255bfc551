"""What a release costs, with this publisher and with two others: `make bench`."""
