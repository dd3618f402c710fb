import "./style/index.css"
import { QueryClientProvider } from "@tanstack/react-query"
import { RouterProvider } from "@tanstack/react-router"
import { StrictMode } from "react"
import { createRoot } from "react-dom/client"
import { makeQueryClient } from "./api/queries.ts"
import * as Token from "./api/token.ts"
import { ErrorBoundary } from "./components/ErrorBoundary.tsx"
import { Toasts } from "./components/toasts.tsx"
import { router } from "./router.tsx"

Token.takeFromAddress()

const root = document.getElementById("root")
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <ErrorBoundary>
        <QueryClientProvider client={makeQueryClient()}>
          <Toasts>
            <RouterProvider router={router} />
          </Toasts>
        </QueryClientProvider>
      </ErrorBoundary>
    </StrictMode>
  )
}
