"""What commands print: tables, rankings and states as text."""
