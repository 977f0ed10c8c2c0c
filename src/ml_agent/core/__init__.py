"""The nouns of the project and its error tree. Imports nothing of ours."""
