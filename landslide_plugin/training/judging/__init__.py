"""What a trained network is worth, and the page that says so."""
