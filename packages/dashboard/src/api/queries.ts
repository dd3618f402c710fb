/** The data of the pages, cached. Events of the server refresh it, so nothing is polled. */
import { QueryClient, queryOptions, useMutation, useQuery, useQueryClient } from "@tanstack/react-query"
import { useEffect, useRef, useState } from "react"
import * as Rate from "../text/rate.ts"
import * as Waiting from "../text/waiting.ts"
import * as Client from "./client.ts"
import type { Queues } from "../schema.ts"

const isTransient = (error: Error): boolean =>
  error instanceof Client.RequestError && (error.status === undefined || error.status >= 500)

export const makeQueryClient = (): QueryClient =>
  new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: 30_000,
        refetchOnWindowFocus: false,
        networkMode: "always",
        retry: (failures, error) => failures < 2 && isTransient(error)
      },
      mutations: { networkMode: "always" }
    }
  })

export const useQueues = () => useQuery({ queryKey: ["queues"], queryFn: ({ signal }) => Client.queues(signal) })

/** Whether the reader may do what a role permits. */
export const useMay = (role: "review" | "operate"): boolean => {
  const own = useQueues().data?.server.role
  return own === "operate" || own === role
}

/** The name of the token, in which the reader decides; undefined if it has none. */
export const useTokenName = (): string | undefined => useQueues().data?.server.name

export const taskQuery = (id: string) =>
  queryOptions({ queryKey: ["task", id], queryFn: ({ signal }) => Client.task(id, signal) })

/** While a task is running, its progress is read again this often: no event says that it has changed. */
const progressMillis = 1000

export const useTask = (id: string) =>
  useQuery({
    ...taskQuery(id),
    refetchInterval: ({ state: { data } }) => data?.task.status === "in_progress" && progressMillis
  })

/** An execution of a workflow, by the id of its task. */
export const useExecution = (id: string) =>
  useQuery({ queryKey: ["execution", id], queryFn: ({ signal }) => Client.execution(id, signal), enabled: id !== "" })

/** The first executions of a workflow. */
export const useExecutions = (queue: string | undefined, status: string | undefined) =>
  useQuery({
    queryKey: ["executions", queue ?? "", status ?? ""],
    queryFn: ({ signal }) => Client.tasks({ queue, status }, undefined, signal),
    enabled: queue !== undefined
  })

export const useFailures = (queue: string | undefined) =>
  useQuery({ queryKey: ["failures", queue ?? ""], queryFn: ({ signal }) => Client.failures(queue, signal) })

/** The first outputs in review. */
export const useInReview = (queue: string | undefined) =>
  useQuery({
    queryKey: ["review", queue ?? ""],
    queryFn: ({ signal }) => Client.tasks({ queue, status: "in_review" }, undefined, signal)
  })

/** The whole output of an attempt. An output does not change, so it is read once. */
export const useOutput = (id: string, token: number, isWanted: boolean) =>
  useQuery({
    queryKey: ["output", id, token],
    queryFn: ({ signal }) => Client.output(id, token, signal),
    enabled: isWanted,
    staleTime: Infinity
  })

/** The sample of an audit. It is read when the page is opened and after each finding: the server reads all tasks for it. */
export const useAudit = (queue: string | undefined, share: string | undefined) =>
  useQuery({
    queryKey: ["audit", queue ?? "", share ?? ""],
    queryFn: ({ signal }) => Client.audit({ queue, share }, signal)
  })

/** When tasks of a queue ended. The server reads many tasks for it, so it is not read after each event. */
export const useActivity = (queue: string) =>
  useQuery({
    queryKey: ["activity", queue],
    queryFn: ({ signal }) => Client.activity(queue, signal),
    refetchInterval: 30_000
  })

/** The server reads all tasks for it, so it is read when the page is opened. */
export const useReport = (queue: string | undefined) =>
  useQuery({ queryKey: ["report", queue ?? ""], queryFn: ({ signal }) => Client.report(queue, signal) })

export const useSettings = (queue: string) =>
  useQuery({
    queryKey: ["settings", queue],
    queryFn: ({ signal }) => Client.settings(queue, signal),
    enabled: queue !== ""
  })

/** Changes the settings of a queue, and shows them at once. */
export const useSet = () => {
  const client = useQueryClient()
  return useMutation({
    mutationFn: Client.set,
    onSuccess: (settings) => client.setQueryData(["settings", settings.queue], settings)
  })
}

export const useFind = () => useMutation({ mutationFn: Client.find })
export const useRequeue = () => useMutation({ mutationFn: Client.requeue })
export const useCancel = () => useMutation({ mutationFn: Client.cancel })
export const useCancelExecution = () => useMutation({ mutationFn: Client.cancelExecution })
export const useDecide = () => useMutation({ mutationFn: Client.decide })
export const useControl = () => useMutation({ mutationFn: Client.control })

/** The time, once a second. */
export const useNow = (): number => {
  const [now, setNow] = useState(() => Date.now())
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000)
    return () => clearInterval(timer)
  }, [])
  return now
}

/** The number of tasks per minute that end in each queue, measured while the page is open. */
export const useRates = (queues: Queues | undefined): ReadonlyMap<string, number> => {
  const latest = useRef(queues)
  const [rates, setRates] = useState<ReadonlyMap<string, number>>(new Map())
  useEffect(() => {
    latest.current = queues
  }, [queues])
  useEffect(() => {
    const samples = new Map<string, ReadonlyArray<Rate.Sample>>()
    const measure = () => {
      const next = new Map<string, number>()
      for (const queue of latest.current?.queues ?? []) {
        const sample = { at: Date.now(), done: Waiting.ended(queue) }
        const measured = Rate.add(samples.get(queue.queue) ?? [], sample)
        samples.set(queue.queue, measured)
        const rate = Rate.perMinute(measured)
        if (rate !== undefined && rate > 0) next.set(queue.queue, rate)
      }
      setRates(next)
    }
    const timer = setInterval(measure, 1000)
    return () => clearInterval(timer)
  }, [])
  return rates
}
