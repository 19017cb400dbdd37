"""What every command needs: progress, provenance, memory, a soon end, what may be read."""
