"""Pictures of losses and of their gradients, drawn by matplotlib from the generated kernels."""
