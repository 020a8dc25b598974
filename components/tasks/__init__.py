"""Tasks, one folder each: everything that differs between kinds of labels.

`task.py` defines what a task provides, `problem_type.py` what is declared of its problem types, and
`registry.py` lists the tasks. Steps ask the registry and know no task by name.
"""
