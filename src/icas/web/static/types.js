/**
 * Types of the JSON API and of the page.
 *
 * @typedef {object} Bridge
 * @property {number} a image on the left side of the weakest link
 * @property {number} b image on the right side of the weakest link
 * @property {number} similarity
 * @property {number[]} left images on the side of `a`
 * @property {number[]} right images on the side of `b`
 * @property {boolean} [striking] whether it is much weaker than the links around it
 *
 * @typedef {"untouched" | "named" | "doubtful" | "done"} ClusterState
 *
 * @typedef {object} Cluster
 * @property {number} id
 * @property {number[]} members medoid first, then by similarity to it
 * @property {string | null} name
 * @property {number | null} weakest similarity of the weakest link
 * @property {number} doubt 0 (sure) to 1
 * @property {ClusterState} state
 * @property {boolean} bridge whether a weak bridge joins two groups in it
 * @property {boolean} [fixed] whether a person worked on it
 *
 * @typedef {object} Detail a cluster with its links
 * @property {number} id
 * @property {number[]} members
 * @property {(number | null)[]} similarity of each member to the medoid
 * @property {Bridge | null} bridge
 * @property {[number, number, number][]} edges links of the spanning forest inside the cluster
 *
 * @typedef {[name: string, source: "image" | "cluster" | "spread", confidence: number | null]} Label
 *
 * @typedef {object} Run
 * @property {string} dst
 * @property {string} src
 * @property {string} method
 * @property {number} threshold
 * @property {number} images
 * @property {number} unreadable
 * @property {string} linkage
 *
 * @typedef {object} State what `GET /api/state` answers; with `since` only what changed
 * @property {number} rev
 * @property {number} [since]
 * @property {boolean} read_only
 * @property {Run} run
 * @property {Cluster[]} clusters
 * @property {number[]} [removed] ids of clusters that are gone
 * @property {number[]} outliers
 * @property {number[]} [held] outliers that a person made
 * @property {number[]} rejected
 * @property {Record<string, Label | null>} labels
 * @property {{name: string, count: number}[]} classes
 * @property {Record<string, number>} best
 * @property {number} threshold
 * @property {string | null} undo
 * @property {string | null} redo
 * @property {number} applied_rev
 * @property {number} pending
 * @property {string | null} [paint] address of the painting of its images
 *
 * @typedef {object} Images
 * @property {string[]} files
 * @property {(number | null)[] | null} width
 * @property {(number | null)[] | null} height
 * @property {number[]} bytes
 *
 * @typedef {object} Info
 * @property {string} file
 * @property {string} path
 * @property {number} width
 * @property {number} height
 * @property {number} bytes
 * @property {boolean} lossless
 * @property {number} mtime seconds since 1970
 * @property {number} sharpness variance of the Laplacian
 *
 * @typedef {object} Forest links by falling similarity
 * @property {Int32Array} a
 * @property {Int32Array} b
 * @property {Float32Array} similarity
 *
 * @typedef {object} Answer what a command answers
 * @property {number} rev
 * @property {State} [delta]
 * @property {string} [text]
 *
 * @typedef {object} Binding a key of a screen
 * @property {string[]} keys as in KeyboardEvent.key, with "ctrl+", "shift+" or "alt+" before it
 * @property {string} text what it does, shown in the help; empty: another row of the help covers it
 * @property {string} [group] heading in the help; missing: the name of the screen
 * @property {string[]} [mouse] the same with the mouse, for the help: "left click"
 * @property {(event: KeyboardEvent) => unknown} run returns false to leave the key to the next binding or the browser
 * @property {boolean} [edits] refused in a tab that is read only
 *
 * @typedef {object} Context what a screen gets
 * @property {import("./store.js").Store} store
 * @property {import("./keys.js").Keys} keys
 * @property {string[]} params parts of the hash after the screen: `#/cluster/17` gives ["17"]
 * @property {(path: string) => void} go open another screen: `go("cluster/17")`
 * @property {(text: string) => void} say speak to screen readers
 * @property {AbortSignal} signal aborted when the screen is left; pass it to listeners and fetch
 *
 * @typedef {object} Screen
 * @property {string} id first part of the hash
 * @property {string} title
 * @property {string} key opens the screen after `g`
 * @property {string} [icon] name of an icon in ui.js
 * @property {boolean} [hidden] not in the navigation
 * @property {(root: HTMLElement, context: Context) => void | Promise<void>} mount
 * @property {() => void} [unmount]
 * @property {(params: string[]) => boolean} [update] takes new parameters without a new mount
 */
export {};
