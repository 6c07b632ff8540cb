"""The questions. Each chapter starts its servers, measures, and yields records under its own name."""
