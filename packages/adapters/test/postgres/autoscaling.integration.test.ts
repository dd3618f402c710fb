import { assert, describe, it } from "@effect/vitest"
import { ScaledObject } from "@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject"
import { TriggerAuthentication } from "@kubernetes-models/keda/keda.sh/v1alpha1/TriggerAuthentication"
import { Task } from "@baton/core"
import { Deployment } from "kubernetes-models/apps/v1/Deployment"
import { Effect, Schema } from "effect"
import { readFileSync } from "node:fs"
import { parseAllDocuments } from "yaml"
import { add, claim, client, complete, id, isMissing, names, open, schema } from "./postgres.ts"

const documents = (file: string): ReadonlyArray<unknown> =>
  parseAllDocuments(readFileSync(new URL(`../../../../deploy/${file}`, import.meta.url), "utf8")).map((each) =>
    each.toJSON()
  )

const Workers = Schema.Struct({
  metadata: Schema.Struct({ name: Schema.String }),
  spec: Schema.Struct({
    template: Schema.Struct({
      spec: Schema.Struct({ containers: Schema.Array(Schema.Struct({ args: Schema.Array(Schema.String) })) })
    })
  })
})

const Scaled = Schema.Struct({
  spec: Schema.Struct({
    scaleTargetRef: Schema.Struct({ name: Schema.String }),
    triggers: Schema.NonEmptyArray(
      Schema.Struct({
        authenticationRef: Schema.Struct({ name: Schema.String }),
        metadata: Schema.Struct({ query: Schema.String, targetQueryValue: Schema.String })
      })
    )
  })
})

const Named = Schema.Struct({ metadata: Schema.Struct({ name: Schema.String }) })

const manifests = Effect.gen(function* () {
  const [deployment] = documents("kubernetes.yaml")
  const [authentication, scaledObject] = documents("kubernetes-autoscaling.yaml")
  const workers = yield* Schema.decodeUnknownEffect(Workers)(deployment)
  const scaled = yield* Schema.decodeUnknownEffect(Scaled)(scaledObject)
  const secret = yield* Schema.decodeUnknownEffect(Named)(authentication)
  return { deployment, authentication, scaledObject, workers, scaled, secret }
})

describe("the manifests for Kubernetes", () => {
  it.effect("are valid, and name each other", () =>
    Effect.gen(function* () {
      const { authentication, deployment, scaled, scaledObject, secret, workers } = yield* manifests
      // Throw with the place of what is not valid.
      new Deployment(Object(deployment)).validate()
      new TriggerAuthentication(Object(authentication)).validate()
      new ScaledObject(Object(scaledObject)).validate()
      assert.strictEqual(scaled.spec.scaleTargetRef.name, workers.metadata.name)
      const [trigger] = scaled.spec.triggers
      assert.strictEqual(trigger.authenticationRef.name, secret.metadata.name)
      const args = workers.spec.template.spec.containers[0]?.args ?? []
      assert.strictEqual(trigger.metadata.targetQueryValue, args[args.indexOf("-j") + 1])
    })
  )

  it.live.skipIf(isMissing)("scale by the tasks of the queue that are claimable or in progress", () =>
    Effect.gen(function* () {
      const { scaled } = yield* manifests
      const name = yield* schema()
      const store = yield* open({ schema: name })
      const sql = yield* client()
      const query = scaled.spec.triggers[0].metadata.query
      assert.include(query, "baton.count_changes")
      const depth = Effect.map(sql.unsafe(query.replace("baton.", `"${name}".`)).values, ([row]) => Number(row?.[0]))
      assert.strictEqual(yield* depth, 0)
      yield* add(store, names(5))
      yield* store.add([
        Task.makeNew({ id: id("blocked"), description: "Wait.", dependsOn: [id("task-0")] }),
        Task.makeNew({ id: id("other"), description: "Elsewhere.", queue: "other" })
      ])
      const [claimed] = yield* claim(store, { limit: 1 })
      assert.strictEqual(yield* depth, 5)
      assert.isDefined(claimed)
      if (claimed !== undefined) yield* store.settle([complete(claimed)])
      // The one that waited for it has become claimable.
      assert.strictEqual(yield* depth, 5)
    })
  )
})
