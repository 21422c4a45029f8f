"""Triton's Python backend calling a TorchScript file; batches are those that Triton makes."""

import os

import torch
import triton_python_backend_utils as pb_utils  # of Triton's own process


class TritonPythonModel:
    def initialize(self, args):
        torch.set_num_threads(int(os.environ["BENCH_THREADS"]))
        load = torch.jit.load
        self.model = torch.jit.optimize_for_inference(torch.jit.freeze(load(os.environ["BENCH_FILE"]).eval()))

    def execute(self, requests):
        inputs = [pb_utils.get_input_tensor_by_name(one, "x") for one in requests]
        parts = [torch.from_numpy(tensor.as_numpy().copy()) for tensor in inputs]
        with torch.no_grad():
            outputs = self.model(torch.cat(parts) if len(parts) > 1 else parts[0])
        responses = []
        for rows in outputs.split([len(part) for part in parts]):
            tensor = pb_utils.Tensor.from_dlpack("y", rows.clone())
            responses.append(pb_utils.InferenceResponse(output_tensors=[tensor]))
        return responses
