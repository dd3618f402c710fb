/** A worker process of the crash test. Its first argument is a `WorkerConfig`, its second the name of the store. */
import { Schema } from "effect"
import { layers, StoreName } from "./stores.ts"
import { runWorker } from "./workerProgram.ts"

runWorker(layers[Schema.decodeUnknownSync(StoreName)(process.argv[3])])
