"""Programs that use an SDK as its documentation shows, and record what it costs in each way that there is.

Each runs in an environment with the SDK and nothing else of the project's: `python -m tests.clients.programs.NAME
PROMPT WORKFLOW`. Words in the prompt say what it does, besides those that say what the API answers (`script`):

| word | the program |
|---|---|
| `STREAM`, `DROP`, `SLOW` | reads streams, with the SDK's helper where it has one; asks again when one breaks |
| `EVENTS` | reads streams event by event |
| `LEFT` | leaves a stream after its first event |
| `THREADS`, `ASYNC` | makes four calls at once, in threads or tasks |
| `STRUCTURED` | has the answer parsed |
| `RAW` | asks for raw responses |
| `RUNNER` | has the SDK call the tools |
| `USE_SEARCH` | offers the provider's web search |
| `BATCH`, `TIERS`, `FAST`, `REGION`, `COMPACTED` | uses a batch, tiers, a fast mode, a region, the API's compaction |
"""
