/**
 * Types of the JSON API of painting and of its page.
 *
 * Coordinates are rows and columns of the full image; boxes are [first row, first column, end row,
 * end column], ends exclusive. A code is class + 65,536 * (object number - 1); 0: not painted.
 *
 * @typedef {[number, number, number, number]} Box
 *
 * @typedef {"" | "unsaved" | "saved" | "unsure" | "carried" | "absent" | "unreadable"} Mark
 *
 * @typedef {object} PaintClass
 * @property {number} number from 1
 * @property {string} name
 * @property {string} color "#rrggbb"
 * @property {boolean} hidden its paint is not drawn
 * @property {boolean} locked its paint stays as it is
 * @property {string | null} digit key that chooses it
 * @property {number | null} [images] open images that have it
 *
 * @typedef {object} PaintState what `GET api/state` answers
 * @property {number} rev
 * @property {boolean} read_only
 * @property {string} out
 * @property {string[]} formats
 * @property {number} images
 * @property {string} method
 * @property {PaintClass[]} classes
 * @property {{grabcut: true | string, sam: true | string}} tools true, or the reason why not
 * @property {boolean} templates
 * @property {string[]} [ops]
 * @property {string} [folder]
 * @property {number | null} queue carried images that wait for a decision
 * @property {string | null} review address of the review
 *
 * @typedef {object} PaintObject
 * @property {number} class
 * @property {number} number
 * @property {number} area in pixels
 * @property {Box} box
 *
 * @typedef {object} DocInfo what `GET api/doc/{n}` answers
 * @property {number} n
 * @property {string} file
 * @property {number} width
 * @property {number} height
 * @property {number} doc_rev
 * @property {number} segments
 * @property {16 | 32} bits of the label map
 * @property {number[]} classes class of each segment, from segment 0 on
 * @property {number[] | null} numbers object number of each segment; null: 1
 * @property {boolean} overrides whether there are brushed pixels
 * @property {string | null} undo what undo reverts
 * @property {string | null} redo
 * @property {PaintObject[]} objects
 * @property {Mark} mark
 * @property {[string, string]} borders colours of the borders of segments, on dark and on bright pixels
 * @property {PaintClass[]} palette classes of this image: those of the state, then its own
 * @property {Record<string, number>} current object that new paint gets, by class, where it is not 1
 * @property {number} [paint_alpha] least opacity at which paint is clear
 * @property {string} [note]
 * @property {[number, number][]} [pyramid] width and height of each level
 * @property {number} [tile] side of the tiles of the pyramid
 * @property {boolean} [objects_by_segment] each segment filled is a new object
 *
 * @typedef {object} Patch values of a box
 * @property {Box} box
 * @property {string} data base64 of gzip of little-endian values
 * @property {16 | 32} [bits]
 *
 * @typedef {object} DocDelta what a command changed
 * @property {number} n
 * @property {Box | null} box
 * @property {[segment: number, class_: number, number: number][]} segments
 * @property {Patch | null} labels
 * @property {Patch | null} overrides
 * @property {PaintObject[] | null} objects
 * @property {string | null} undo
 * @property {string | null} redo
 * @property {Mark} mark
 * @property {PaintClass[] | null} [classes]
 * @property {number} [doc_rev]
 * @property {number} [count] segments that there are now
 * @property {PaintClass[]} [palette] classes of the image
 * @property {boolean} [reload] numbers of classes moved: the document has to be loaded again
 *
 * @typedef {object} Answer of a command
 * @property {number} rev
 * @property {number} [doc_rev]
 * @property {string} [text]
 * @property {DocDelta} [delta]
 * @property {boolean} [stale] an earlier answer: the document has changed since
 *
 * @typedef {object} PromptAnswer
 * @property {number} serial
 * @property {string} [prompt] id that the command `mask` takes
 * @property {Box} [box]
 * @property {string} [data] base64 of gzip of the packed bits of the box, row by row
 * @property {number | null} [score]
 * @property {number} [area]
 * @property {boolean} [wait] the embedding is being computed
 * @property {number} [progress] 0 to 1
 * @property {boolean} [more] the same request gives a better mask
 * @property {boolean} [superseded] a newer request came
 * @property {string} [note] why there is no mask
 * @property {number} [candidates] masks to choose from
 *
 * @typedef {object} Point a place on the image
 * @property {number} row fraction of a pixel: the middle of the first one is .5
 * @property {number} col
 *
 * @typedef {import("../types.js").Binding} Binding
 *
 * @typedef {object} Tool
 * @property {string} id
 * @property {string} title shown in the tool bar
 * @property {string} icon
 * @property {string} key
 * @property {string} hint what the pointer does, one line
 * @property {string} [cursor] CSS cursor over the image
 * @property {boolean} [segments] highlights the segment under the pointer
 * @property {(() => string)} [missing] why the tool cannot be used; "" if it can
 * @property {() => void} [enter]
 * @property {() => void} [leave]
 * @property {(hit: Hit) => void} [down]
 * @property {(hit: Hit) => void} [move] with and without a button
 * @property {(hit: Hit) => void} [up]
 * @property {(hit: Hit) => void} [double]
 * @property {() => void} [cancel] the gesture ends without effect
 * @property {(steps: number, hit: Hit) => boolean} [wheel] with Ctrl or Alt; true if it was used
 * @property {(draw: CanvasRenderingContext2D) => void} [draw] over the image, in CSS pixels
 * @property {(root: HTMLElement) => void} [options] controls in the bar above the image
 * @property {Binding[]} [keys] while the tool is chosen
 *
 * @typedef {object} Hit a pointer event on the image
 * @property {number} x in CSS pixels of the canvas
 * @property {number} y
 * @property {number} row of the image, whole; may be outside
 * @property {number} col
 * @property {boolean} inside
 * @property {0 | 1 | 2 | -1} button 0 left, 1 middle, 2 right; -1 of a move without a button
 * @property {boolean} ctrl
 * @property {boolean} shift
 * @property {boolean} alt
 * @property {boolean} touch
 *
 * @typedef {object} PaintContext what tools and panels get
 * @property {import("./store.js").PaintStore} store
 * @property {import("./viewer.js").Viewer} viewer
 * @property {import("../keys.js").Keys} keys
 * @property {Tool[]} tools
 * @property {(text: string) => void} say speak to screen readers
 * @property {AbortSignal} signal
 *
 * @typedef {object} Panel a part of the page beside the canvas
 * @property {string} id
 * @property {string} title
 * @property {"right" | "bottom" | "header"} slot
 * @property {(root: HTMLElement, context: PaintContext) => void} mount
 * @property {Binding[]} [keys]
 */
export {};
