"""What a Prometheus scrapes of the dashboard: what arrived since it started, how budgets stand, and how it is itself."""
