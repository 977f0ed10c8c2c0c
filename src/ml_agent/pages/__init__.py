"""How a report looks: pages, charts and words that need nothing from elsewhere."""
