"""Two runs side by side: what differs, whether it may be chance, and the pictures they disagree on."""
