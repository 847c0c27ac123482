"""Muon for the matrices inside the layers, AdamW for the rest.

Muon: Keller Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024: momentum
whose step is replaced by the nearest orthogonal matrix, found by a Newton-Schulz iteration.
"""

import collections

import torch


def orthogonalize(g, dtype, rounds=5):
    """g: [count, rows, columns] -> the same with singular values near 1."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.to(dtype)
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.transpose(1, 2)
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(rounds):
        xxt = x @ x.transpose(1, 2)
        x = a * x + (b * xxt + c * xxt @ xxt) @ x
    if tall:
        x = x.transpose(1, 2)
    return x.float()


class Muon:
    def __init__(self, parameters, dtype, momentum=0.95, weight_decay=0.01):
        self.groups = collections.defaultdict(list)  # same shapes are orthogonalized together
        for p in parameters:
            self.groups[tuple(p.shape)].append(p)
        self.dtype, self.momentum, self.weight_decay = dtype, momentum, weight_decay
        self.buffers = {shape: torch.zeros(len(ps), *shape, device=ps[0].device)
                        for shape, ps in self.groups.items()}

    @torch.no_grad()
    def step(self, lr):
        for shape, parameters in self.groups.items():
            gradient = torch.stack([p.grad for p in parameters])
            buffer = self.buffers[shape]
            buffer.lerp_(gradient, 1 - self.momentum)
            update = orthogonalize(gradient.lerp_(buffer, self.momentum), self.dtype)
            scale = lr * max(1, shape[0] / shape[1]) ** 0.5
            for p, u in zip(parameters, update):
                p.mul_(1 - lr * self.weight_decay).add_(u, alpha=-scale)

    def state_dict(self):
        return self.buffers

    def load_state_dict(self, state):
        self.buffers = state


class Optimizer:
    """Both optimizers under one learning-rate factor."""

    def __init__(self, model, muon_lr, adam_lr, dtype):
        matrices = [p for n, p in model.named_parameters() if p.dim() == 2 and "embed" not in n]
        others = [p for n, p in model.named_parameters() if p.dim() != 2 or "embed" in n]
        self.muon_lr, self.adam_lr = muon_lr, adam_lr
        self.muon = Muon(matrices, dtype)
        self.adam = torch.optim.AdamW(others, lr=adam_lr, betas=(0.9, 0.95), eps=1e-10, weight_decay=0.0)

    def step(self, factor):
        self.muon.step(self.muon_lr * factor)
        for group in self.adam.param_groups:
            group["lr"] = self.adam_lr * factor
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)
        for parameters in self.muon.groups.values():
            for p in parameters:
                p.grad = None

    def state_dict(self):
        return {"muon": self.muon.state_dict(), "adam": self.adam.state_dict()}

    def load_state_dict(self, state):
        self.muon.load_state_dict(state["muon"])
        self.adam.load_state_dict(state["adam"])
