/** What a save can write. */

/** @type {{id: string, label: string, text: string}[]} */
export const FORMATS = [
  { id: "masks", label: "Masks", text: "a PNG for each class, white on black" },
  { id: "labels", label: "Label map", text: "a 16-bit PNG of class numbers" },
  { id: "instances", label: "Objects", text: "a 16-bit PNG of object numbers" },
  { id: "coco", label: "COCO", text: "coco.json, all saved images" },
  { id: "labelme", label: "labelme", text: "a JSON file for each image" },
];
