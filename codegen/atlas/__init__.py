"""The atlas: a static site with a page for each loss, and an index to search them."""
