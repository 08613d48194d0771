"""The lab's scenarios: one folder each, the same program on every framework, to be read side by side."""
