"""What a notebook and the command line call: functions that plan, run, evaluate and compare, and the
store as one object. Each gives a `Report`: records, and pages that show them.
"""
