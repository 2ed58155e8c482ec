"""What an agent enforces on the data: the gate, the plan, masks and rows; pure."""
