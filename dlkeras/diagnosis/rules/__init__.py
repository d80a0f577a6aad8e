"""The rules, one file a family: each looks at what is known and yields findings."""
