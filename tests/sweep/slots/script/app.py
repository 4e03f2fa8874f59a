"""A script that does what scripts do, a case a job; the test beside it runs it by itself and with each launcher.

A case returns whether what it did came out right. Its answer goes to `answers/CASE.json`.
"""

import concurrent.futures
import importlib
import json
import logging
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import hydra
import sibling
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_original_cwd
from omegaconf import MISSING, OmegaConf

ROOT = Path(__file__).resolve().parent
STATE = "as imported"
log = logging.getLogger(__name__)

with (ROOT / "imported.txt").open("a") as file:
    file.write(f"{__name__} {os.getpid()}\n")
OmegaConf.register_new_resolver("twice", lambda x: 2 * x)


@dataclass
class Point:
    x: int = 1


@dataclass
class Config:
    case: str = MISSING
    point: Point = field(default_factory=Point)
    doubled: int = "${twice:4}"
    tripled: int = "${thrice:4}"


ConfigStore.instance().store(name="config", node=Config)


class Scaler:
    def __init__(self, factor):
        self.factor = factor


class Numbers:
    """What a DataLoader reads."""

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return index


class Broken(Exception):
    def __init__(self, number, why):
        super().__init__(f"{number}: {why}")


def square(x):
    return x * x


def tell(queue, x):
    queue.put(square(x))


def own_pickle(cfg):
    back = pickle.loads(pickle.dumps([Scaler(2), Point(3), square, Broken]))
    (Path(HydraConfig.get().runtime.output_dir) / "kept.pkl").write_bytes(pickle.dumps(Scaler(2)))
    return type(back[0]) is Scaler and back[0].factor == 2 and back[1:] == [Point(3), square, Broken]


def own_model(cfg):
    import torch

    out = Path(HydraConfig.get().runtime.output_dir) / "model.pt"
    torch.save(Scaler(torch.nn.Linear(2, 2)), out)
    back = torch.load(out, weights_only=False)
    return type(back) is Scaler and back.factor(torch.ones(1, 2)).shape == (1, 2)


def structured_config(cfg):
    point = OmegaConf.to_object(cfg.point)
    return type(point) is Point and asdict(point) == {"x": 1} and OmegaConf.get_type(cfg) is Config


def nested_function(cfg):
    offset = 1

    def shifted(x):
        return x + offset

    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        return list(threads.map(lambda x: shifted(x), [1, 2])) == [2, 3]


def pool(method, cfg):
    with multiprocessing.get_context(method).Pool(2) as workers:
        return workers.map(square, [1, 2, 3]) == [1, 4, 9]


def process(method, cfg):
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    child = context.Process(target=tell, args=(queue, 3))
    child.start()
    answer = queue.get(timeout=60)
    child.join()
    return answer == 9


def executor(cfg):
    with concurrent.futures.ProcessPoolExecutor(2) as processes:
        return list(processes.map(square, [1, 2])) == [1, 4]


def parallel(cfg):
    from joblib import Parallel, delayed

    return Parallel(n_jobs=2)(delayed(square)(x) for x in range(4)) == [0, 1, 4, 9]


def loader(method, cfg):
    from torch.utils.data import DataLoader

    batches = DataLoader(
        Numbers(), batch_size=4, num_workers=1, persistent_workers=True, multiprocessing_context=method
    )
    return [[int(sum(batch)) for batch in batches] for _ in range(2)] == [[6, 22]] * 2


def ended_program(cfg):
    started = time.monotonic()
    program = subprocess.Popen(["sleep", "20"])
    program.terminate()
    program.wait()
    limited = False
    try:
        subprocess.run(["sleep", "20"], timeout=0.1)
    except subprocess.TimeoutExpired:
        limited = True
    return limited and time.monotonic() - started < 10


def ended_process(cfg):
    child = multiprocessing.Process(target=time.sleep, args=(20,))
    child.start()
    child.terminate()
    child.join(10)
    return child.exitcode == -signal.SIGTERM


def signals_of_children(cfg):
    code = "import signal; print(*(int(signal.getsignal(s)) for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)))"
    code += "; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler, signal.pthread_sigmask(0, []))"
    return subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["0", "0", "0", "True", "set()"]


def time_limit(cfg):
    ended = []
    before = signal.signal(signal.SIGALRM, lambda *_: ended.append(True))
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    time.sleep(0.2)
    signal.signal(signal.SIGALRM, before)
    return bool(ended) and threading.current_thread() is threading.main_thread()


def resolver_of_the_module(cfg):
    return cfg.doubled == 8


def resolver_of_the_guard(cfg):
    return cfg.tripled == 12


def resolver_of_the_task(cfg):
    OmegaConf.register_new_resolver("four_times", lambda x: 4 * x)
    return OmegaConf.create({"x": "${four_times:4}"}).x == 16


def state_of_the_script(cfg):
    return STATE == "changed" and sys.modules["__main__"].STATE == "changed"


def state_of_a_module(cfg):
    return sibling.STATE == "changed"


def environment(cfg):
    return os.environ.get("SET_BY_THE_SCRIPT") == "yes"


def where_it_is(cfg):
    later = importlib.import_module("sibling")
    names = {Path(sys.argv[0]).name, Path(__file__).name, Path(sys.modules["__main__"].__file__).name}
    return names == {"app.py"} and later is sibling and Path.cwd() == Path(get_original_cwd()) == ROOT


def written_log(cfg):
    hydra_conf = HydraConfig.get()
    log.info("from the task")
    print("printed")
    path = Path(hydra_conf.runtime.output_dir) / f"{hydra_conf.job.name}.log"
    return f"[{__name__}][INFO] - from the task" in path.read_text()


def child_left_behind(cfg):
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)", "left behind"])
    return True


CASES = {
    "own_pickle": own_pickle,
    "own_model": own_model,
    "structured_config": structured_config,
    "nested_function": nested_function,
    **{f"pool_{method}": partial(pool, method) for method in ("fork", "forkserver", "spawn")},
    **{f"process_{method}": partial(process, method) for method in ("fork", "forkserver", "spawn")},
    "executor": executor,
    "parallel": parallel,
    **{f"loader_{method}": partial(loader, method) for method in ("fork", "forkserver", "spawn")},
    "ended_program": ended_program,
    "ended_process": ended_process,
    "signals_of_children": signals_of_children,
    "time_limit": time_limit,
    "resolver_of_the_module": resolver_of_the_module,
    "resolver_of_the_guard": resolver_of_the_guard,
    "resolver_of_the_task": resolver_of_the_task,
    "state_of_the_script": state_of_the_script,
    "state_of_a_module": state_of_a_module,
    "environment": environment,
    "where_it_is": where_it_is,
    "written_log": written_log,
    "child_left_behind": child_left_behind,
}


@hydra.main(config_path=None, config_name="config")
def main(cfg):
    with_limit = threading.current_thread() is threading.main_thread()
    if with_limit:  # a case that hangs is a "no"
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(60)
    try:
        answer = CASES[cfg.case](cfg) or "it came out wrong"
    except Exception as error:
        answer = f"{type(error).__name__}: {error}"
    if with_limit:
        signal.alarm(0)
    (ROOT / "answers").mkdir(exist_ok=True)
    (ROOT / "answers" / f"{cfg.case}.json").write_text(json.dumps(answer))
    return 0.0


if __name__ == "__main__":
    STATE = sibling.STATE = "changed"
    os.environ["SET_BY_THE_SCRIPT"] = "yes"
    OmegaConf.register_new_resolver("thrice", lambda x: 3 * x)
    if sys.argv[1] == "read":
        kept = pickle.loads(Path(sys.argv[2]).read_bytes())
        (ROOT / "answers/kept_pickle.json").write_text(json.dumps(type(kept) is Scaler))
        sys.exit()
    main()
