"""Who may do what: policies of resources, the roles that they grant, what each method needs.

roles.py      permissions, and which of them a role grants
policy.py     a policy as a value: its rules, and whether it permits something
needs.py      the permissions that each method needs, and on what
policies.py   the methods of IAMPolicy
"""
