"""The process that reads the workers' journals and tells the accounting servers, for as long as it takes."""
