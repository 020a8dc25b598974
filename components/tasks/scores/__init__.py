"""The numbers of a text classifier on one split: a module per problem type, and what they share."""
