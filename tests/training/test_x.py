import time
def test_x(tiny_world, tiny_store, trained):
    t=time.time()
    a = trained(tiny_world.student(), tiny_store)
    print(time.time()-t, a.losses, tiny_store.run(tiny_world.supervisor.id).read_result()["metrics"], a.paths.read_result()["metrics"])
    print(tiny_store.run(tiny_world.supervisor.id).read_predictions("transfer").probabilities[:8])
    print(Trained) if 0 else None
