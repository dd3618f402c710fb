import { createRootRoute, createRoute, createRouter, lazyRouteComponent, Link } from "@tanstack/react-router"
import { PageError } from "./components/ErrorBoundary.tsx"
import { Layout } from "./components/Layout.tsx"
import { Empty } from "./components/Message.tsx"
import { QueuesPage } from "./pages/Queues.tsx"
import { base } from "./base.ts"
import * as Search from "./search.ts"

const root = createRootRoute({
  component: Layout,
  notFoundComponent: () => (
    <Empty title="This page does not exist">
      <p>
        <Link to="/">All queues</Link>
      </p>
    </Empty>
  )
})

const routes = [
  createRoute({ getParentRoute: () => root, path: "/", component: QueuesPage }),
  createRoute({
    getParentRoute: () => root,
    path: "/tasks",
    validateSearch: Search.tasks,
    component: lazyRouteComponent(() => import("./pages/Tasks.tsx"), "TasksPage")
  }),
  // The id is a parameter, because an id can contain anything, such as `/` and `..`.
  createRoute({
    getParentRoute: () => root,
    path: "/task",
    validateSearch: Search.task,
    component: lazyRouteComponent(() => import("./pages/Task.tsx"), "TaskPage")
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/workflows",
    validateSearch: Search.workflows,
    component: lazyRouteComponent(() => import("./pages/Workflows.tsx"), "WorkflowsPage")
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/execution",
    validateSearch: Search.execution,
    component: lazyRouteComponent(() => import("./pages/Execution.tsx"), "ExecutionPage")
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/review",
    validateSearch: Search.review,
    component: lazyRouteComponent(() => import("./pages/Review.tsx"), "ReviewPage")
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/audit",
    validateSearch: Search.audit,
    component: lazyRouteComponent(() => import("./pages/Audit.tsx"), "AuditPage")
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/settings",
    validateSearch: Search.settings,
    component: lazyRouteComponent(() => import("./pages/Settings.tsx"), "SettingsPage")
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/report",
    // The parameter of the settings: a queue.
    validateSearch: Search.settings,
    component: lazyRouteComponent(() => import("./pages/Report.tsx"), "ReportPage")
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/failures",
    validateSearch: Search.failures,
    component: lazyRouteComponent(() => import("./pages/Failures.tsx"), "FailuresPage")
  })
] as const

export const router = createRouter({
  basepath: base,
  routeTree: root.addChildren(routes),
  parseSearch: Search.parse,
  stringifySearch: Search.stringify,
  defaultErrorComponent: ({ error }) => <PageError error={error} />,
  scrollRestoration: true
})

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router
  }
}
