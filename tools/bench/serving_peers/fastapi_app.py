"""FastAPI calling a TorchScript file: raw float32, or JSON; what comes meanwhile is the next batch."""

import asyncio
import os

import numpy as np
import torch
from fastapi import FastAPI, Request, Response

SHAPE = tuple(int(size) for size in os.environ["BENCH_SHAPE"].split(","))
MOST = int(os.environ["BENCH_BATCH"])

torch.set_num_threads(int(os.environ["BENCH_THREADS"]))
load = torch.jit.load
model = torch.jit.optimize_for_inference(torch.jit.freeze(load(os.environ["BENCH_FILE"]).eval()))
app = FastAPI()
waiting: asyncio.Queue[tuple[np.ndarray, asyncio.Future]] = asyncio.Queue()


def compute(batch: list[np.ndarray]) -> np.ndarray:
    with torch.inference_mode():
        return model(torch.from_numpy(np.stack(batch))).numpy()


async def work() -> None:
    while True:
        jobs = [await waiting.get()]
        while len(jobs) < MOST and not waiting.empty():
            jobs.append(waiting.get_nowait())
        outputs = await asyncio.to_thread(compute, [x for x, _ in jobs])
        for row, (_, answer) in zip(outputs, jobs, strict=True):
            answer.set_result(row)


@app.on_event("startup")
async def start() -> None:
    app.state.worker = asyncio.create_task(work())


async def answer_to(x: np.ndarray) -> np.ndarray:
    answer = asyncio.get_running_loop().create_future()
    await waiting.put((x, answer))
    return await answer


@app.post("/raw")
async def raw(request: Request) -> Response:
    y = await answer_to(np.frombuffer(await request.body(), np.float32).reshape(SHAPE))
    return Response(y.tobytes(), media_type="application/octet-stream")


@app.post("/json")
async def json(request: Request) -> dict[str, list[float]]:
    body = await request.json()
    y = await answer_to(np.asarray(body["x"], np.float32).reshape(SHAPE))
    return {"y": y.tolist()}


@app.get("/ready")
async def ready() -> str:
    return "yes"
