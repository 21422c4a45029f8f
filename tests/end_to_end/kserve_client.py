"""KServe's own client against a server, as it is: run by the Python of an environment that has it.

    kserve_client.py HTTP_ADDRESS GRPC_ADDRESS

Prints what came back as one JSON object, {check: result}; a check that fails has {"error": what it said}.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Awaitable
from typing import Any

import grpc
import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import RESTConfig
from kserve.protocol.infer_type import InferResponse, RequestedOutput
from kserve_picture import picture

KINDS = {"truth": "BOOL", "tiny": "UINT8", "small": "INT8", "middle": "INT16", "whole": "INT32"}
KINDS |= {"long": "INT64", "double": "FP64", "half": "FP16"}
NUMPY = {"BOOL": np.bool_, "FP64": np.float64, "FP16": np.float16}


def digits(*, binary: bool, binary_out: bool | None = None, version: str | None = None) -> InferRequest:
    x = picture(3)
    made = InferInput("x", list(x.shape), "FP32")
    made.set_data_from_numpy(x, binary_data=binary)
    outputs = None if binary_out is None else [RequestedOutput("logits", {"binary_data": binary_out})]
    return InferRequest("digits", [made], request_id="seven", model_version=version, request_outputs=outputs)


def kinds(*, binary: bool) -> InferRequest:
    inputs = []
    for name, datatype in KINDS.items():
        value = np.array([0, 1, 1], NUMPY.get(datatype, datatype.lower()))
        made = InferInput(name, [3], datatype)
        made.set_data_from_numpy(value, binary_data=binary or datatype == "FP16")
        inputs.append(made)
    return InferRequest("kinds", inputs, request_id="k")


def told(response: InferResponse) -> dict[str, Any]:
    return {
        "id": response.id,
        "model": response.model_name,
        "version": response.model_version,
        "outputs": {one.name: np.asarray(one.as_numpy()).tolist() for one in response.outputs},
    }


async def result_of(call: Awaitable[Any]) -> Any:
    try:
        answer = await call
    except grpc.RpcError as error:
        return {"error": f"{error.code().name}: {error.details()}"}  # type: ignore[attr-defined]
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return told(answer) if isinstance(answer, InferResponse) else answer


async def over_rest(address: str) -> dict[str, Any]:
    url = f"http://{address}"
    found: dict[str, Any] = {}
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        found["live"] = await result_of(client.is_server_live(url))
        found["ready"] = await result_of(client.is_server_ready(url))
        found["model ready"] = await result_of(client.is_model_ready(url, "digits"))
        found["no model ready"] = await result_of(client.is_model_ready(url, "nothing"))
        for name, request in {
            "json": digits(binary=False),
            "json, asks for json": digits(binary=False, binary_out=False),
            "json, asks for binary": digits(binary=False, binary_out=True),
            "binary": digits(binary=True),
            "binary, asks for binary": digits(binary=True, binary_out=True),
            "binary, asks for json": digits(binary=True, binary_out=False),
        }.items():
            found[name] = await result_of(client.infer(url, request, model_name="digits"))
        for binary in (False, True):
            request = kinds(binary=binary)
            found[f"kinds, binary {binary}"] = await result_of(client.infer(url, request, model_name="kinds"))
        found["no model"] = await result_of(client.infer(url, digits(binary=False), model_name="nothing"))
        wrong = InferRequest("digits", [InferInput("x", [1, 2], "FP32", [[1.0, 2.0]])])
        found["wrong shape"] = await result_of(client.infer(url, wrong, model_name="digits"))
        many = [client.infer(url, digits(binary=k % 2 == 0), model_name="digits") for k in range(32)]
        found["many"] = [told(one) for one in await asyncio.gather(*many)]
    async with InferenceRESTClient(RESTConfig(protocol="v1")) as client:
        found["v1 model ready"] = await result_of(client.is_model_ready(url, "digits"))
        found["v1 no model ready"] = await result_of(client.is_model_ready(url, "nothing"))
    return found


async def over_grpc(address: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    async with InferenceGRPCClient(address) as client:
        found["live"] = await result_of(client.is_server_live())
        found["ready"] = await result_of(client.is_server_ready())
        found["model ready"] = await result_of(client.is_model_ready("digits"))
        found["no model ready"] = await result_of(client.is_model_ready("nothing"))
        for name, request in {
            "typed": digits(binary=False),
            "raw": digits(binary=True),
            "version": digits(binary=True, version="10"),
            "no version": digits(binary=True, version="11"),
            "kinds": kinds(binary=True),
        }.items():
            found[name] = await result_of(client.infer(request))
        missing = digits(binary=True)
        missing.model_name = "nothing"
        found["no model"] = await result_of(client.infer(missing))
    return found


async def main(http: str, grpc_address: str) -> None:
    logging.disable()
    print(json.dumps({"rest": await over_rest(http), "grpc": await over_grpc(grpc_address)}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
