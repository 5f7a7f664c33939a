"""Networks: encoder and head, and the layers that encoders share."""
